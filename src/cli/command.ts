/** One subcommand: what it does, how it is called, and the work; gives the exit code. */
export interface Command {
  summary: string;
  usage: string;
  run(args: string[]): Promise<number>;
}
