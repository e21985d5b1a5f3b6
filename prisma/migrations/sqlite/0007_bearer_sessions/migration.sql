-- AlterTable
ALTER TABLE "Session" ADD COLUMN "boundKey" TEXT;
ALTER TABLE "Session" ADD COLUMN "clientId" TEXT;
ALTER TABLE "Session" ADD COLUMN "tokenScope" TEXT;
