import { defineConfig } from 'prisma/config';

// The folder, so that prisma/authtuna.prisma is read as well.
export default defineConfig({ schema: 'prisma', datasource: { url: 'file:./app.db' } });
