/** Whether everything is prepared that a request needs: tables, roles, the first administrator. */
export interface Readiness {
  readonly done: boolean;
  /** Prepares it, once, however many ask; after a failure the next one tries again. @throws what the preparation throws */
  wait(): Promise<void>;
}

export function createReadiness(prepare: () => Promise<void>): Readiness {
  let underWay: Promise<void> | null = null;
  const readiness = {
    done: false,
    wait() {
      underWay ??= prepare().then(
        () => {
          readiness.done = true;
        },
        (error: unknown) => {
          underWay = null;
          throw error;
        },
      );
      return underWay;
    },
  };
  return readiness;
}
