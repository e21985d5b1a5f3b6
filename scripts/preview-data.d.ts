import type { MailData, MailName, PageData, PageName } from '../src/templates/templates.js';

export declare const HOSTILE: string;
export declare const pageSamples: readonly { name: PageName; variant: string; data: PageData[PageName] }[];
export declare const mailSamples: readonly { name: MailName; variant: string; data: MailData[MailName] }[];
