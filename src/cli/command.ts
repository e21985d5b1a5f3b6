/** One subcommand: how it is called, and the work; gives the exit code. */
export interface Command {
  usage: string;
  run(args: string[]): Promise<number>;
}
