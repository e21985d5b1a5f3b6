-- AlterTable
ALTER TABLE "User" ADD COLUMN "unconfirmedUntil" DATETIME;

-- CreateIndex
CREATE INDEX "User_unconfirmedUntil_idx" ON "User"("unconfirmedUntil");
