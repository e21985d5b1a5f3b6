-- CreateTable
CREATE TABLE "TeamAssignment" (
    "teamId" TEXT NOT NULL,
    "roleId" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "assignedById" TEXT,
    "assignedAt" TIMESTAMP(3) NOT NULL,
    "expiresAt" TIMESTAMP(3),

    CONSTRAINT "TeamAssignment_pkey" PRIMARY KEY ("teamId","roleId","scope")
);

-- CreateTable
CREATE TABLE "Organization" (
    "id" TEXT NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "metadata" TEXT NOT NULL DEFAULT '{}',
    "requireSecondFactor" BOOLEAN NOT NULL DEFAULT false,
    "sessionMaxSeconds" INTEGER,
    "allowedEmailDomains" TEXT NOT NULL DEFAULT '',
    "joinByDomain" BOOLEAN NOT NULL DEFAULT false,
    "ownerCount" INTEGER NOT NULL DEFAULT 0,
    "createdAt" TIMESTAMP(3) NOT NULL,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "Organization_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "OrganizationSlug" (
    "slug" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "expiresAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "OrganizationSlug_pkey" PRIMARY KEY ("slug")
);

-- CreateTable
CREATE TABLE "OrganizationProject" (
    "id" TEXT NOT NULL,
    "orgId" TEXT NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "metadata" TEXT NOT NULL DEFAULT '{}',
    "createdAt" TIMESTAMP(3) NOT NULL,
    "updatedAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "OrganizationProject_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "OrganizationResource" (
    "id" TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "OrganizationResource_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "OrganizationInvitation" (
    "id" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "email" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "invitedById" TEXT,
    "message" TEXT,
    "createdAt" TIMESTAMP(3) NOT NULL,
    "sentAt" TIMESTAMP(3) NOT NULL,
    "expiresAt" TIMESTAMP(3) NOT NULL,
    "acceptedAt" TIMESTAMP(3),
    "revokedAt" TIMESTAMP(3),
    "openFor" TEXT,

    CONSTRAINT "OrganizationInvitation_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "TeamAssignment_scope_idx" ON "TeamAssignment"("scope");

-- CreateIndex
CREATE INDEX "TeamAssignment_roleId_scope_idx" ON "TeamAssignment"("roleId", "scope");

-- CreateIndex
CREATE INDEX "TeamAssignment_expiresAt_idx" ON "TeamAssignment"("expiresAt");

-- CreateIndex
CREATE UNIQUE INDEX "Organization_slug_key" ON "Organization"("slug");

-- CreateIndex
CREATE INDEX "OrganizationSlug_orgId_idx" ON "OrganizationSlug"("orgId");

-- CreateIndex
CREATE INDEX "OrganizationSlug_expiresAt_idx" ON "OrganizationSlug"("expiresAt");

-- CreateIndex
CREATE UNIQUE INDEX "OrganizationProject_orgId_slug_key" ON "OrganizationProject"("orgId", "slug");

-- CreateIndex
CREATE INDEX "OrganizationResource_type_idx" ON "OrganizationResource"("type");

-- CreateIndex
CREATE UNIQUE INDEX "OrganizationInvitation_openFor_key" ON "OrganizationInvitation"("openFor");

-- CreateIndex
CREATE INDEX "OrganizationInvitation_scope_createdAt_idx" ON "OrganizationInvitation"("scope", "createdAt");

-- CreateIndex
CREATE INDEX "OrganizationInvitation_email_idx" ON "OrganizationInvitation"("email");

-- CreateIndex
CREATE INDEX "OrganizationInvitation_expiresAt_idx" ON "OrganizationInvitation"("expiresAt");

-- AddForeignKey
ALTER TABLE "TeamAssignment" ADD CONSTRAINT "TeamAssignment_roleId_fkey" FOREIGN KEY ("roleId") REFERENCES "Role"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "OrganizationSlug" ADD CONSTRAINT "OrganizationSlug_orgId_fkey" FOREIGN KEY ("orgId") REFERENCES "Organization"("id") ON DELETE CASCADE ON UPDATE CASCADE;
