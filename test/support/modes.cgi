#!/bin/sh
# A CGI program of many modes for the tests; the request's X-Mode says which.
case $HTTP_X_MODE in
    # What it was given.
    env)
        printf 'Content-Type: text/plain\n\n'
        env
        printf 'TEST_DIRECTORY=%s\nTEST_ARGUMENTS=%s\n' "$(pwd -P)" "$#"
        ;;
    # The body, behind its length.
    cat)
        printf 'Content-Type: text/plain\n\n%s|' "$CONTENT_LENGTH"
        cat
        ;;
    # Exactly what X-Output says, with \r, \n and \0ooo in it.
    print) printf '%b' "$HTTP_X_OUTPUT" ;;
    # Whatever X-Script says.
    *) eval "$HTTP_X_SCRIPT" ;;
esac
