/*! Runnel: one stream by WebSocket, Server-Sent Events or long-polling, whichever gets through. MIT */
//
//   var stream = new Runnel('/live/sensors');
//   stream.onmessage = function (event) { show(event.data); };
//
// ECMAScript 5, no dependencies. Described in docs/clients.md; types for editors in client.d.ts. The gateway serves it without
// these comments and the indentation.
(function (root) {
  'use strict';

  var ALL = ['websocket', 'events', 'poll'];
  var EVENTS = ['joined', 'missed', 'notice', 'stderr', 'partial', 'partial-stderr', 'ping', 'end'];
  var MOST_WAITING = 64; // messages that wait for their POST
  var MOST_TEXT = 1 << 20; // characters of a response that is read while it comes: then a new one
  var POLL_WAIT = 25000; // how long the gateway holds a poll back
  var worked = {}; // which transport got through to a host

  function absolute(url) {
    var link;
    if (!root.document) return new URL(url, root.location).href;
    link = root.document.createElement('a');
    link.href = url;
    return link.href;
  }

  function bytesOf(base64) {
    var text = root.atob(base64);
    var bytes = new Uint8Array(text.length);
    var i;
    for (i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes.buffer;
  }

  function ask(method, url, headers, body, binary, done) {
    var xhr = new XMLHttpRequest();
    xhr.open(method, url, true);
    for (var name in headers) xhr.setRequestHeader(name, headers[name]);
    if (binary) xhr.responseType = 'arraybuffer';
    xhr.onreadystatechange = function () {
      if (xhr.readyState === 4) done(xhr.status, binary ? xhr.response : xhr.responseText, xhr);
    };
    xhr.send(body);
    return xhr;
  }

  // Each transport gets a link to tell what happens, and an address; it gives back what stops it.
  var start = {
    websocket: function (link, url) {
      var socket = new root.WebSocket(url('after').replace(/^http/, 'ws'));
      socket.binaryType = 'arraybuffer';
      socket.onmessage = function (event) {
        var data = event.data;
        var bytes, end, head;
        if (typeof data === 'string') {
          end = data.indexOf('\n');
          head = data.slice(0, end);
          if (head.slice(0, 3) === 'id:') link.message(head.slice(3), data.slice(end + 1));
          else link.event(head.slice(6), data.slice(end + 1));
        } else {
          bytes = new Uint8Array(data);
          head = '';
          for (end = 1; end <= bytes[0]; end++) head += String.fromCharCode(bytes[end]);
          link.message(head, data.slice(end));
        }
      };
      socket.onclose = function (event) {
        link.lost(event.code, event.reason);
      };
      link.send = function (data) {
        if (socket.readyState === 1) socket.send(data);
        return socket.readyState === 1;
      };
      return function () {
        socket.onmessage = socket.onclose = null;
        socket.close();
      };
    },

    events: function (link, url) {
      var source, xhr, seen;
      var last = '';
      function take(name, id, data) {
        var isBinary = name === 'binary' || link.facts.encoding;
        if (name === 'message' || name === 'binary') link.message(id, isBinary ? bytesOf(data) : data);
        else link.event(name, data);
      }
      function listen(name) {
        source.addEventListener(name, function (event) {
          var id = event.lastEventId;
          // A message without an id of its own carries that of the one before.
          take(name, id === last ? '' : id, event.data);
          last = id;
        });
      }
      if (root.EventSource) {
        source = new root.EventSource(url('after'));
        EVENTS.concat('message', 'binary').forEach(listen);
        source.onerror = function () {
          link.lost(0, '');
        };
        return function () {
          source.close();
        };
      }
      // Without EventSource: the response as it grows.
      seen = 0;
      xhr = ask('GET', url('after'), { Accept: 'text/event-stream' }, null, false, function (status) {
        read();
        link.lost(0, '', status);
      });
      function read() {
        var text, end, lines, name, id, data, i;
        if (xhr.readyState < 3 || xhr.status !== 200) return;
        text = xhr.responseText;
        for (;;) {
          end = text.indexOf('\n\n', seen);
          if (end < 0 || !link.alive) break;
          lines = text.slice(seen, end).split('\n');
          seen = end + 2;
          name = 'message';
          id = '';
          data = [];
          for (i = 0; i < lines.length; i++) {
            if (lines[i].slice(0, 6) === 'data: ') data.push(lines[i].slice(6));
            else if (lines[i].slice(0, 4) === 'id: ') id = lines[i].slice(4);
            else if (lines[i].slice(0, 7) === 'event: ') name = lines[i].slice(7);
          }
          if (data.length > 0) take(name, id, data.join('\n'));
        }
        if (text.length > MOST_TEXT) link.lost(0, '');
      }
      xhr.onprogress = read;
      return function () {
        xhr.onprogress = xhr.onreadystatechange = null;
        xhr.abort();
      };
    },

    poll: function (link, url) {
      var xhr;
      var joined = false;
      var timer;
      var wait = POLL_WAIT / 1000;
      var cuts = 0;
      function next() {
        // The first one is answered at once, so that it is known whether this way is open.
        xhr = ask(
          'GET',
          url('cursor', 'poll'),
          joined ? (wait < 25 ? { Prefer: 'wait=' + wait } : {}) : { Prefer: 'wait=0' },
          null,
          false,
          function (status, text) {
            var news;
            // Something on the way cuts what is silent for long: the same is asked for again, to be held back for less.
            if (status === 0 && joined && link.alive && cuts < 6) {
              wait = Math.max(1, wait >> 1);
              timer = setTimeout(next, 100 << cuts++);
              return;
            }
            if (status !== 200 || text.charAt(0) !== '{') return link.lost(0, '', status);
            news = JSON.parse(text);
            if (!joined) link.event('joined', JSON.stringify({ ping: POLL_WAIT, encoding: news.encoding }));
            joined = true;
            cuts = 0;
            link.event('ping', POLL_WAIT);
            if ('missed' in news) link.event('missed', news.missed === null ? '' : String(news.missed));
            news.messages.forEach(function (message) {
              link.message(message.id, news.encoding || message.encoding ? bytesOf(message.data) : message.data);
            });
            link.at(news.cursor);
            if (news.end) link.event('end', JSON.stringify(news.end));
            else if (link.alive) timer = setTimeout(next, 20);
          }
        );
      }
      next();
      return function () {
        clearTimeout(timer);
        xhr.onreadystatechange = null;
        xhr.abort();
      };
    },
  };

  function Runnel(url, options) {
    var self = this;
    var wish = options || {};
    var base = absolute(url).replace(/#.*/, '').replace(/^ws/, 'http');
    var host = base.split('/')[2];
    var ways = (wish.transports || ALL).filter(function (name) {
      return name !== 'websocket' || root.WebSocket;
    });
    var listeners = {};
    var way = 0;
    var link;
    var timer;
    var failures = 0; // one after the other: the next wait is longer
    var tries = 0; // failures of what has worked before
    var patience = wish.timeout || 5000;
    var came = false; // something has got through once
    var past = wish.history; // how many past messages are still to be asked for
    var place = ['', '', 0]; // of the last message: its id, epoch and number

    if (!(self instanceof Runnel)) return new Runnel(url, options);

    function emit(type, event) {
      var all = (listeners[type] || []).concat(self['on' + type] || []);
      event.type = type;
      event.target = self;
      all.forEach(function (listener) {
        try {
          listener.call(self, event);
        } catch (error) {
          // As with any event: the next message comes all the same.
          setTimeout(function () {
            throw error;
          });
        }
      });
    }

    function become(state, reason, delay) {
      self.state = state;
      self.readyState = { open: 1, closed: 2 }[state] || 0;
      emit('state', { state: state, transport: self.transport, reason: reason || '', delay: delay });
    }

    function address(name, value) {
      return base + (base.indexOf('?') < 0 ? '?' : '&') + name + '=' + encodeURIComponent(value);
    }

    function memory(name) {
      try {
        if (name) worked[host] = name;
        if (name && wish.remember) root.sessionStorage.setItem('runnel ' + host, name);
        return worked[host] || (wish.remember && root.sessionStorage.getItem('runnel ' + host));
      } catch (_) {
        // A page may not be allowed to keep anything.
      }
    }

    function connect() {
      var watch;
      var quiet = false;
      var since = Date.now();
      var me = { alive: true, facts: {}, queue: [] };

      // False for a message that came already.
      me.at = function (id) {
        var match = /^(.*)-(\d+)$/.exec(id);
        if (!me.alive) return false;
        if (match && match[1] === place[1] && match[2] <= place[2]) return false;
        if (match) place = [id, match[1], +match[2]];
        self.lastEventId = place[0];
        return true;
      };
      me.message = function (id, data, time) {
        quiet = false;
        if (!me.at(id)) return;
        failures = 0;
        emit('message', { data: data, lastEventId: id, time: time });
      };
      me.event = function (name, data) {
        var facts;
        if (!me.alive) return;
        quiet = false;
        if (name === 'joined') joined(JSON.parse(data));
        else if (name === 'end') {
          facts = JSON.parse(data);
          me.lost(facts.code, facts.reason);
        } else if (name === 'missed') emit(name, { count: data ? +data : null });
        else if (name !== 'ping') emit(name, { data: data });
        else guard(+data);
      };
      // Each ping says when the next is due. A line on which nothing comes is dead, though the browser may not know it yet. The
      // first ones come soon: where they stay out, something on the way holds back what does not fill its buffer.
      function guard(due) {
        clearInterval(watch);
        watch = setInterval(
          function () {
            me.held = due < me.facts.ping;
            if (quiet) me.lost(0, 'silence');
            quiet = true;
          },
          Math.max(due * 1.25, patience)
        );
      }
      function joined(facts) {
        came = true;
        tries = 0;
        me.facts = facts;
        me.at(facts.id || '');
        clearTimeout(watch);
        memory(self.transport);
        guard(1000);
        become('open');
        emit('open', { facts: facts });
      }
      // `code` and `reason` as of a WebSocket; `status` where there was an HTTP answer.
      me.lost = function (code, reason, status) {
        var over = code === 1000 || code === 1011;
        var open = self.readyState === 1 && !me.held;
        if (!me.alive) return;
        me.alive = false;
        clearTimeout(watch);
        clearInterval(watch);
        if (me.stop) me.stop();
        if (open && Date.now() - since > 10000) failures = 0;
        if (over) emit('end', { code: code, reason: reason });
        if (self.readyState === 2) return;
        if (status && status !== 200) reason = 'refused with status ' + status;
        if (status === 400) reason = 'this stream cannot be polled, and nothing else came through';
        if (open) {
          if (wish.reconnect === false || (over && wish.reconnect !== true)) return finish(reason);
        } else if (memory() === self.transport && !me.held && tries++ < 2) {
          // It has worked before: the gateway may be restarting.
        } else if (way + 1 < ways.length) {
          way++;
          return connect();
        } else if (!came && status >= 400 && status < 500 && status !== 429) return finish(reason);
        else way = 0;
        wait(code, reason || 'lost');
      };

      link = me;
      timer = 0;
      self.transport = ways[way];
      become('connecting');
      if (!me.alive) return;
      watch = setTimeout(function () {
        me.lost(0, 'no answer');
      }, patience);
      function open() {
        try {
          me.stop = start[self.transport](me, function (name, poll) {
            return address(name, place[0]) + (poll ? '&transport=poll' : '');
          });
        } catch (error) {
          me.lost(0, String(error));
        }
      }
      if (past) recall(me, open);
      else open();
    }

    // What was, as messages; then the stream goes on behind that. A stream without a past is opened all the same.
    function recall(me, open) {
      ask('GET', address('transport', 'history') + '&limit=' + past, {}, null, false, function (status, text, xhr) {
        if (!me.alive) return;
        if (!status) return me.lost(0, '');
        past = 0;
        if (status === 200) {
          text.split('\n').forEach(function (line) {
            var message = line && JSON.parse(line);
            if (line) me.message(message.id, message.encoding ? bytesOf(message.data) : message.data, message.time);
          });
          me.at(xhr.getResponseHeader('Last-Event-ID') || '');
        }
        if (me.alive) open();
      });
    }

    function wait(code, reason) {
      var delay = Math.min(wish.maxDelay || 30000, 500 * Math.pow(2, failures++)) * (0.5 + Math.random() / 2);
      timer = setTimeout(connect, delay);
      become('waiting', reason, delay);
      if (timer) emit('error', { code: code, reason: reason });
    }

    function finish(reason) {
      self.close(reason);
      emit('error', { reason: reason });
    }

    function hurry() {
      if (!timer || root.document.hidden) return;
      clearTimeout(timer);
      connect();
    }

    function listen(verb) {
      if (!root.document) return;
      root[verb + 'EventListener']('online', hurry);
      root.document[verb + 'EventListener']('visibilitychange', hurry);
    }

    // One after the other, because two requests may overtake each other.
    function post(me) {
      var to = me.facts.session ? address('session', me.facts.session) : base;
      ask('POST', to, {}, me.queue[0], me.facts.encoding, function (status, answer) {
        if (status < 200 || status > 299) emit('error', { reason: 'not sent: ' + (status || 'no connection') });
        else if (status !== 202 && me.alive && answer) emit('message', { data: answer, lastEventId: '' });
        me.queue.shift();
        if (me.queue.length && me.alive) post(me);
        else if (me.queue.length) emit('error', { reason: 'not sent: ' + me.queue.length });
      });
    }

    self.url = base;
    self.lastEventId = '';
    self.addEventListener = function (type, listener) {
      listeners[type] = (listeners[type] || []).concat(listener);
    };
    self.removeEventListener = function (type, listener) {
      listeners[type] = (listeners[type] || []).filter(function (one) {
        return one !== listener;
      });
    };
    // False when it cannot be sent now.
    self.send = function (data) {
      if (self.readyState !== 1) return false;
      if (link.send) return link.send(data);
      if (link.queue.length >= MOST_WAITING) return false;
      if (link.queue.push(data) === 1) post(link);
      return true;
    };
    self.close = function (reason) {
      if (self.readyState === 2) return;
      clearTimeout(timer);
      timer = 0;
      listen('remove');
      if (link && link.alive) {
        self.readyState = 2;
        link.lost(0, '');
      }
      become('closed', reason);
    };

    self.readyState = 0;
    self.state = 'connecting';
    way = Math.max(0, ways.indexOf(memory()));
    listen('add');
    // Later, so that whoever made it can still set onmessage and the others.
    timer = setTimeout(connect);
  }

  Runnel.CONNECTING = 0;
  Runnel.OPEN = 1;
  Runnel.CLOSED = 2;
  root.Runnel = Runnel;
  if (typeof module === 'object' && module.exports) module.exports = Runnel;
})(typeof self === 'object' ? self : this);
