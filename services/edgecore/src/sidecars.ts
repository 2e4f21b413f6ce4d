// The sidecars by name. Their code is loaded when one of them is made: edgecore itself stays small.
// Invariant: a sidecar's folder is private, unless workloads under another user have to pass through it; what must stay private lies in
// folders of its own.
import type { Clock } from '@skerry/common/clock';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import type { SidecarName } from './config/layout.js';
import type { SidecarOptions } from './config/options.js';
import { passableFolder, privateFolder } from './disk/files.js';

export async function createSidecar(
  name: SidecarName,
  options: SidecarOptions,
  clock: Clock,
  logger: Logger,
): Promise<Component> {
  const { node, edgecoreSocket, socket, stateDir } = options;
  await (name === 'engine' && options.processUser ? passableFolder : privateFolder)(stateDir);
  switch (name) {
    case 'engine': {
      const { createEngine } = await import('./engine/engine.js');
      const { createRuntime } = await import('./engine/runtime/create-runtime.js');
      const { runtime: kind, processUser } = options;
      const runtime = await createRuntime({ kind, stateDir, clock, ...(processUser ? { processUser } : {}) });
      return createEngine({ node, edgecoreSocket, socket, stateDir, runtime, clock, logger });
    }
    case 'twin': {
      const { createTwin } = await import('./twin/twin.js');
      return createTwin({ node, edgecoreSocket, socket, stateDir, clock, logger });
    }
    case 'bridge': {
      const { createBridge } = await import('./bridge/bridge.js');
      const { twinSocket, mqttListen: listen } = options;
      return createBridge({ node, twinSocket, socket, stateDir, listen, clock, logger });
    }
  }
}
