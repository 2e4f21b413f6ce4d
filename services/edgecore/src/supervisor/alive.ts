// The last sign of life of a sidecar's work (not of its process): its loop turned.

export interface SidecarAlive {
  /** Monotonic. */
  readonly atMs: number;
  /** False with a reason when it cannot do its work. */
  readonly ok: boolean;
  readonly reason: string;
}
