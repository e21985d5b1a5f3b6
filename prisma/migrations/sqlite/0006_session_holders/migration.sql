-- AlterTable
ALTER TABLE "Session" ADD COLUMN "contestedAt" DATETIME;
ALTER TABLE "Session" ADD COLUMN "contests" INTEGER;
ALTER TABLE "Session" ADD COLUMN "holder" TEXT;
