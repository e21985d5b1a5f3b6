-- CreateIndex
CREATE INDEX "OneTimeToken_usedAt_idx" ON "OneTimeToken"("usedAt");

-- CreateIndex
CREATE INDEX "Session_idleSeconds_lastSeenAt_idx" ON "Session"("idleSeconds", "lastSeenAt");

-- CreateIndex
CREATE INDEX "Session_idleSeconds_createdAt_idx" ON "Session"("idleSeconds", "createdAt");

-- CreateIndex
CREATE INDEX "Totp_confirmedAt_createdAt_idx" ON "Totp"("confirmedAt", "createdAt");
