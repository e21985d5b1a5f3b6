-- CreateTable
CREATE TABLE "OrganizationInvitationLink" (
    "id" TEXT NOT NULL PRIMARY KEY,
    "secretHash" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "invitedById" TEXT,
    "maxUses" INTEGER NOT NULL,
    "usesLeft" INTEGER NOT NULL,
    "createdAt" DATETIME NOT NULL,
    "expiresAt" DATETIME NOT NULL,
    "revokedAt" DATETIME
);

-- CreateIndex
CREATE INDEX "OrganizationInvitationLink_scope_createdAt_idx" ON "OrganizationInvitationLink"("scope", "createdAt");

-- CreateIndex
CREATE INDEX "OrganizationInvitationLink_expiresAt_idx" ON "OrganizationInvitationLink"("expiresAt");
