-- AlterTable
ALTER TABLE "FactorReset" ADD COLUMN "addedSince" DATETIME;

-- AlterTable
ALTER TABLE "RoleAssignment" ADD COLUMN "source" TEXT;

-- AlterTable
ALTER TABLE "SsoConnection" ADD COLUMN "mappedById" TEXT;

-- AlterTable
ALTER TABLE "SsoDomain" ADD COLUMN "checkedAt" DATETIME;
