-- AlterTable
ALTER TABLE "DeviceAuthorization" ADD COLUMN "authenticatedAt" DATETIME;
