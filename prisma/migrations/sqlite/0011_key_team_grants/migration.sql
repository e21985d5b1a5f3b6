-- CreateTable
CREATE TABLE "ApiKeyTeamGrant" (
    "apiKeyId" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "memberRoleId" TEXT NOT NULL,
    "teamScope" TEXT NOT NULL,
    "teamId" TEXT NOT NULL,
    "roleId" TEXT NOT NULL,
    "scope" TEXT NOT NULL,

    PRIMARY KEY ("apiKeyId", "memberRoleId", "teamId", "roleId", "scope"),
    CONSTRAINT "ApiKeyTeamGrant_apiKeyId_fkey" FOREIGN KEY ("apiKeyId") REFERENCES "ApiKey" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "ApiKeyTeamGrant_userId_memberRoleId_teamScope_fkey" FOREIGN KEY ("userId", "memberRoleId", "teamScope") REFERENCES "RoleAssignment" ("userId", "roleId", "scope") ON DELETE CASCADE ON UPDATE CASCADE,
    CONSTRAINT "ApiKeyTeamGrant_teamId_roleId_scope_fkey" FOREIGN KEY ("teamId", "roleId", "scope") REFERENCES "TeamAssignment" ("teamId", "roleId", "scope") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateIndex
CREATE INDEX "ApiKeyTeamGrant_userId_memberRoleId_teamScope_idx" ON "ApiKeyTeamGrant"("userId", "memberRoleId", "teamScope");

-- CreateIndex
CREATE INDEX "ApiKeyTeamGrant_teamId_roleId_scope_idx" ON "ApiKeyTeamGrant"("teamId", "roleId", "scope");
