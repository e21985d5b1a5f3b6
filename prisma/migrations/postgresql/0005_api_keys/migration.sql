-- AlterTable
ALTER TABLE "User" ADD COLUMN     "kind" TEXT NOT NULL DEFAULT 'person';

-- CreateTable
CREATE TABLE "ApiKey" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "start" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "previousHash" TEXT,
    "previousUntil" TIMESTAMP(3),
    "kid" TEXT NOT NULL,
    "isLimited" BOOLEAN NOT NULL DEFAULT false,
    "allowedIps" TEXT NOT NULL DEFAULT '',
    "rateLimit" INTEGER,
    "rateWindowSeconds" INTEGER,
    "lifetimeSeconds" INTEGER NOT NULL,
    "createdById" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL,
    "rotatedAt" TIMESTAMP(3),
    "expiresAt" TIMESTAMP(3) NOT NULL,
    "warnedAt" TIMESTAMP(3),
    "lastUsedAt" TIMESTAMP(3),
    "exposedAt" TIMESTAMP(3),
    "revokedAt" TIMESTAMP(3),
    "revokedReason" TEXT,
    "slot" INTEGER,
    "masterSlot" INTEGER,

    CONSTRAINT "ApiKey_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ApiKeyGrant" (
    "apiKeyId" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "roleId" TEXT NOT NULL,
    "scope" TEXT NOT NULL,

    CONSTRAINT "ApiKeyGrant_pkey" PRIMARY KEY ("apiKeyId","roleId","scope")
);

-- CreateTable
CREATE TABLE "ServiceAccount" (
    "userId" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "createdById" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "ServiceAccount_pkey" PRIMARY KEY ("userId")
);

-- CreateIndex
CREATE INDEX "ApiKey_userId_createdAt_idx" ON "ApiKey"("userId", "createdAt");

-- CreateIndex
CREATE INDEX "ApiKey_expiresAt_idx" ON "ApiKey"("expiresAt");

-- CreateIndex
CREATE INDEX "ApiKey_revokedAt_idx" ON "ApiKey"("revokedAt");

-- CreateIndex
CREATE INDEX "ApiKey_kid_idx" ON "ApiKey"("kid");

-- CreateIndex
CREATE UNIQUE INDEX "ApiKey_userId_slot_key" ON "ApiKey"("userId", "slot");

-- CreateIndex
CREATE UNIQUE INDEX "ApiKey_userId_masterSlot_key" ON "ApiKey"("userId", "masterSlot");

-- CreateIndex
CREATE INDEX "ApiKeyGrant_userId_roleId_scope_idx" ON "ApiKeyGrant"("userId", "roleId", "scope");

-- CreateIndex
CREATE INDEX "ServiceAccount_scope_createdAt_idx" ON "ServiceAccount"("scope", "createdAt");

-- AddForeignKey
ALTER TABLE "ApiKey" ADD CONSTRAINT "ApiKey_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ApiKeyGrant" ADD CONSTRAINT "ApiKeyGrant_apiKeyId_fkey" FOREIGN KEY ("apiKeyId") REFERENCES "ApiKey"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ApiKeyGrant" ADD CONSTRAINT "ApiKeyGrant_userId_roleId_scope_fkey" FOREIGN KEY ("userId", "roleId", "scope") REFERENCES "RoleAssignment"("userId", "roleId", "scope") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ServiceAccount" ADD CONSTRAINT "ServiceAccount_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User"("id") ON DELETE CASCADE ON UPDATE CASCADE;
