-- AlterTable
ALTER TABLE "Session" ADD COLUMN     "boundKey" TEXT,
ADD COLUMN     "clientId" TEXT,
ADD COLUMN     "tokenScope" TEXT;
