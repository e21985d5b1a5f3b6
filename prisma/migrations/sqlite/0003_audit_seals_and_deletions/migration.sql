-- CreateTable
CREATE TABLE "AccountDeletion" (
    "userId" TEXT NOT NULL PRIMARY KEY,
    "requestedAt" DATETIME NOT NULL,
    "effectiveAt" DATETIME NOT NULL,
    CONSTRAINT "AccountDeletion_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "AuditSeal" (
    "number" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    "previous" TEXT NOT NULL,
    "from" DATETIME NOT NULL,
    "to" DATETIME NOT NULL,
    "count" INTEGER NOT NULL,
    "contents" TEXT NOT NULL,
    "kid" TEXT NOT NULL,
    "mac" TEXT NOT NULL,
    "sealedAt" DATETIME NOT NULL,
    "prunedMac" TEXT
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
