-- AlterTable
ALTER TABLE "ScopeNode" ADD COLUMN     "registeredById" TEXT;
