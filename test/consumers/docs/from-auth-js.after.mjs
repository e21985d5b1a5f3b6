import { signsIn } from './guide.mjs';

await signsIn(['/me']);
