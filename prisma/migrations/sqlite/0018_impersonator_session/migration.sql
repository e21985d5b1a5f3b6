-- AlterTable
ALTER TABLE "Session" ADD COLUMN "impersonatorSessionId" TEXT;
