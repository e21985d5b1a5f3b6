-- AlterTable
ALTER TABLE "DeviceAuthorization" ADD COLUMN     "authenticatedAt" TIMESTAMP(3);
