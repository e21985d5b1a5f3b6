-- AlterTable
ALTER TABLE "Throttle" ADD COLUMN     "userId" TEXT;
