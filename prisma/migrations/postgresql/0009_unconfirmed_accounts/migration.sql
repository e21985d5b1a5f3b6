-- AlterTable
ALTER TABLE "User" ADD COLUMN     "unconfirmedUntil" TIMESTAMP(3);

-- CreateIndex
CREATE INDEX "User_unconfirmedUntil_idx" ON "User"("unconfirmedUntil");
