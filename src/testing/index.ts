export { TestClock } from './clock.js';
export { TestMailbox } from './mailbox.js';
