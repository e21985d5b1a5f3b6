-- CreateTable
CREATE TABLE "ApiKey" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "userId" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "start" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "previousHash" TEXT,
    "previousUntil" DATETIME,
    "kid" TEXT NOT NULL,
    "isLimited" BOOLEAN NOT NULL DEFAULT false,
    "allowedIps" TEXT NOT NULL DEFAULT '',
    "rateLimit" INTEGER,
    "rateWindowSeconds" INTEGER,
    "lifetimeSeconds" INTEGER NOT NULL,
    "createdById" TEXT,
    "createdAt" DATETIME NOT NULL,
    "rotatedAt" DATETIME,
    "expiresAt" DATETIME NOT NULL,
    "warnedAt" DATETIME,
    "lastUsedAt" DATETIME,
    "exposedAt" DATETIME,
    "revokedAt" DATETIME,
    "revokedReason" TEXT,
    "slot" INTEGER,
    "masterSlot" INTEGER,
    CONSTRAINT "ApiKey_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "ApiKeyGrant" (
    "apiKeyId" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "roleId" TEXT NOT NULL,
    "scope" TEXT NOT NULL,

    PRIMARY KEY ("apiKeyId", "roleId", "scope"),
    CONSTRAINT "ApiKeyGrant_apiKeyId_fkey" FOREIGN KEY ("apiKeyId") REFERENCES "ApiKey" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "ApiKeyGrant_userId_roleId_scope_fkey" FOREIGN KEY ("userId", "roleId", "scope") REFERENCES "RoleAssignment" ("userId", "roleId", "scope") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "ServiceAccount" (
    "userId" TEXT NOT NULL PRIMARY KEY,
    "scope" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "createdById" TEXT,
    "createdAt" DATETIME NOT NULL,
    CONSTRAINT "ServiceAccount_userId_fkey" FOREIGN KEY ("userId") REFERENCES "User" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- RedefineTables
PRAGMA defer_foreign_keys=ON;
PRAGMA foreign_keys=OFF;
CREATE TABLE "new_User" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "kind" TEXT NOT NULL DEFAULT 'person',
    "email" TEXT NOT NULL,
    "username" TEXT,
    "usernameKey" TEXT,
    "emailVerifiedAt" DATETIME,
    "suspendedAt" DATETIME,
    "suspendedUntil" DATETIME,
    "suspendedReason" TEXT,
    "deletedAt" DATETIME,
    "mustChangePassword" BOOLEAN NOT NULL DEFAULT false,
    "sessionEpoch" INTEGER NOT NULL DEFAULT 0,
    "createdAt" DATETIME NOT NULL,
    "updatedAt" DATETIME NOT NULL,
    "lastLoginAt" DATETIME
);
INSERT INTO "new_User" ("createdAt", "deletedAt", "email", "emailVerifiedAt", "id", "lastLoginAt", "mustChangePassword", "sessionEpoch", "suspendedAt", "suspendedReason", "suspendedUntil", "updatedAt", "username", "usernameKey") SELECT "createdAt", "deletedAt", "email", "emailVerifiedAt", "id", "lastLoginAt", "mustChangePassword", "sessionEpoch", "suspendedAt", "suspendedReason", "suspendedUntil", "updatedAt", "username", "usernameKey" FROM "User";
DROP TABLE "User";
ALTER TABLE "new_User" RENAME TO "User";
CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
CREATE UNIQUE INDEX "User_username_key" ON "User"("username");
CREATE UNIQUE INDEX "User_usernameKey_key" ON "User"("usernameKey");
CREATE INDEX "User_createdAt_idx" ON "User"("createdAt");
PRAGMA foreign_keys=ON;
PRAGMA defer_foreign_keys=OFF;

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
