-- AlterTable
ALTER TABLE "Session" ADD COLUMN     "contestedAt" TIMESTAMP(3),
ADD COLUMN     "contests" INTEGER,
ADD COLUMN     "holder" TEXT;
