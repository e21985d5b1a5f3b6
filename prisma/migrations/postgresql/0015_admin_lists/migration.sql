-- CreateIndex
CREATE INDEX "ApiKey_createdAt_idx" ON "ApiKey"("createdAt");

-- CreateIndex
CREATE INDEX "ServiceAccount_createdAt_idx" ON "ServiceAccount"("createdAt");
