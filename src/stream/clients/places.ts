/** How many clients a stream has at once: `max_clients`. A place is taken before the answer and given back when the client has left. */
import { noRoom } from '../../programs/start-error.ts';
import type { Ending } from '../message.ts';
import type { Client, ClientEvents, Reservation } from './client.ts';

export class ClientPlaces {
  private taken = 0;

  constructor(private readonly max: number) {}

  /** What `make` reserves, with a place. Throws or rejects with an `HttpError` where there is none, or with what `make` does. */
  reserve(make: () => Reservation | Promise<Reservation>): Reservation | Promise<Reservation> {
    this.take();
    try {
      const reservation = make();
      if (!(reservation instanceof Promise)) return new PlacedReservation(reservation, this);
      return reservation.then(
        (ready) => new PlacedReservation(ready, this),
        (error: unknown) => {
          this.leave();
          throw error;
        },
      );
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  /** Holds a place until what `work` gives has settled. */
  async during<T>(work: () => T | Promise<T>): Promise<T> {
    this.take();
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  leave(): void {
    this.taken--;
  }

  private take(): void {
    if (this.taken >= this.max) throw noRoom(`this stream has ${this.max} clients already (max_clients)`);
    this.taken++;
  }
}

class PlacedReservation implements Reservation {
  private settled = false;

  constructor(
    private readonly reservation: Reservation,
    private readonly places: ClientPlaces,
  ) {}

  join(client: Client): ClientEvents | undefined {
    const events = this.reservation.join(client);
    if (events === undefined) this.leave();
    this.settled = true;
    return events && new PlacedEvents(events, this.places);
  }

  cancel(): void {
    this.reservation.cancel();
    this.leave();
  }

  private leave(): void {
    if (!this.settled) this.places.leave();
    this.settled = true;
  }
}

class PlacedEvents implements ClientEvents {
  private gone = false;

  constructor(
    private readonly events: ClientEvents,
    private readonly places: ClientPlaces,
  ) {}

  message(data: Buffer, binary: boolean): void {
    this.events.message(data, binary);
  }

  drain(): void {
    this.events.drain();
  }

  close(ending: Ending): void {
    this.events.close(ending);
  }

  vanished(): void {
    this.events.vanished();
  }

  left(): void {
    if (!this.gone) this.places.leave();
    this.gone = true;
    this.events.left();
  }
}
