-- CreateTable
CREATE TABLE "OrganizationInvitationLink" (
    "id" TEXT NOT NULL,
    "secretHash" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "invitedById" TEXT,
    "maxUses" INTEGER NOT NULL,
    "usesLeft" INTEGER NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL,
    "expiresAt" TIMESTAMP(3) NOT NULL,
    "revokedAt" TIMESTAMP(3),

    CONSTRAINT "OrganizationInvitationLink_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "OrganizationInvitationLink_scope_createdAt_idx" ON "OrganizationInvitationLink"("scope", "createdAt");

-- CreateIndex
CREATE INDEX "OrganizationInvitationLink_expiresAt_idx" ON "OrganizationInvitationLink"("expiresAt");
