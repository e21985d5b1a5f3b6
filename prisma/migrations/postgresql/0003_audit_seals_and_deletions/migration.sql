-- CreateTable
CREATE TABLE "AccountDeletion" (
    "userId" TEXT NOT NULL,
    "requestedAt" TIMESTAMP(3) NOT NULL,
    "effectiveAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "AccountDeletion_pkey" PRIMARY KEY ("userId")
);

-- CreateTable
CREATE TABLE "AuditSeal" (
    "number" INTEGER NOT NULL,
    "previous" TEXT NOT NULL,
    "from" TIMESTAMP(3) NOT NULL,
    "to" TIMESTAMP(3) NOT NULL,
    "count" INTEGER NOT NULL,
    "contents" TEXT NOT NULL,
    "kid" TEXT NOT NULL,
    "mac" TEXT NOT NULL,
    "sealedAt" TIMESTAMP(3) NOT NULL,
    "prunedMac" TEXT,

    CONSTRAINT "AuditSeal_pkey" PRIMARY KEY ("number")
);

-- CreateIndex
CREATE INDEX "AccountDeletion_effectiveAt_idx" ON "AccountDeletion"("effectiveAt");

-- CreateIndex
CREATE INDEX "AuditSeal_to_idx" ON "AuditSeal"("to");

-- CreateIndex
CREATE INDEX "AuditEntry_outcome_at_idx" ON "AuditEntry"("outcome", "at");

-- CreateIndex
CREATE INDEX "AuditEntry_ip_at_idx" ON "AuditEntry"("ip", "at");

-- CreateIndex
CREATE INDEX "OutboxMessage_createdAt_idx" ON "OutboxMessage"("createdAt");

-- CreateIndex
CREATE INDEX "Session_impersonatorId_idx" ON "Session"("impersonatorId");

-- CreateIndex
CREATE INDEX "Throttle_blockedUntil_idx" ON "Throttle"("blockedUntil");

-- AddForeignKey
ALTER TABLE "AccountDeletion" ADD CONSTRAINT "AccountDeletion_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
