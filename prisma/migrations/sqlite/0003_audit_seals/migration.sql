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
CREATE INDEX "AuditSeal_to_idx" ON "AuditSeal"("to");

-- CreateIndex
CREATE INDEX "AuditEntry_outcome_at_idx" ON "AuditEntry"("outcome", "at");

-- CreateIndex
CREATE INDEX "AuditEntry_ip_at_idx" ON "AuditEntry"("ip", "at");
