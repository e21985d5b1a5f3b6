export { TestClock } from './clock.js';
export { TestMailbox } from './mailbox.js';
export {
  type MockPerson,
  type MockProvider,
  type MockProviderOptions,
  startMockProvider,
} from './mock-provider.js';
