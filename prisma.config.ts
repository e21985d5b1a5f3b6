import { defineConfig } from 'prisma/config';

// The generator is WebAssembly and needs no engine, yet the CLI downloads one unless it is told where to find it.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath;

export default defineConfig({});
