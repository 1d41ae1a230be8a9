/** testssl.sh over a listener with the engine "node". */
import { test } from 'node:test';
import { TESTSSL_TIME, testsslFindsNothing } from '../../support/testssl.ts';

test('node: testssl finds nothing of severity MEDIUM or above', { timeout: TESTSSL_TIME }, (t) =>
  testsslFindsNothing(t, 'node'),
);
