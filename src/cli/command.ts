/** The option of every command that answers: its answer is JSON on standard output, for other programs. */
export const JSON_OPTION = { json: { type: 'boolean' } } as const;

/** One subcommand: how it is called, and the work; gives the exit code. */
export interface Command {
  usage: string;
  run(args: string[]): Promise<number>;
}
