-- AlterTable
ALTER TABLE "FactorReset" ADD COLUMN     "addedSince" TIMESTAMP(3);

-- AlterTable
ALTER TABLE "RoleAssignment" ADD COLUMN     "source" TEXT;

-- AlterTable
ALTER TABLE "SsoConnection" ADD COLUMN     "mappedById" TEXT;

-- AlterTable
ALTER TABLE "SsoDomain" ADD COLUMN     "checkedAt" TIMESTAMP(3);
