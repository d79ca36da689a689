CREATE TABLE "AuditEntries" (
    "Id" INTEGER NOT NULL CONSTRAINT "PK_AuditEntries" PRIMARY KEY AUTOINCREMENT,
    "WorkspaceId" TEXT NOT NULL,
    "UserId" TEXT NULL,
    "Action" TEXT NOT NULL,
    "Subject" TEXT NOT NULL,
    "At" INTEGER NOT NULL
);


CREATE TABLE "Jobs" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_Jobs" PRIMARY KEY,
    "WorkspaceId" TEXT NOT NULL,
    "Kind" TEXT NOT NULL,
    "SubjectId" TEXT NOT NULL,
    "Title" TEXT NOT NULL,
    "ExecutionGroup" TEXT NOT NULL,
    "CreatedBy" TEXT NOT NULL,
    "CreatedAt" INTEGER NOT NULL,
    "StartedAt" INTEGER NULL,
    "FinishedAt" INTEGER NULL,
    "State" TEXT NOT NULL,
    "Priority" INTEGER NOT NULL,
    "WaitingReason" TEXT NOT NULL,
    "Attempts" INTEGER NOT NULL,
    "Error" TEXT NULL
);


CREATE TABLE "Users" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_Users" PRIMARY KEY,
    "DisplayName" TEXT NOT NULL,
    "CreatedAt" INTEGER NOT NULL,
    "WorkspaceId" TEXT NULL,
    "DeactivatedAt" INTEGER NULL,
    "MustChangePassword" INTEGER NOT NULL,
    "UserName" TEXT NULL,
    "NormalizedUserName" TEXT NULL,
    "Email" TEXT NULL,
    "NormalizedEmail" TEXT NULL,
    "EmailConfirmed" INTEGER NOT NULL,
    "PasswordHash" TEXT NULL,
    "SecurityStamp" TEXT NULL,
    "ConcurrencyStamp" TEXT NULL,
    "PhoneNumber" TEXT NULL,
    "PhoneNumberConfirmed" INTEGER NOT NULL,
    "TwoFactorEnabled" INTEGER NOT NULL,
    "LockoutEnd" INTEGER NULL,
    "LockoutEnabled" INTEGER NOT NULL,
    "AccessFailedCount" INTEGER NOT NULL
);


CREATE TABLE "Workspaces" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_Workspaces" PRIMARY KEY,
    "Name" TEXT NOT NULL,
    "CreatedAt" INTEGER NOT NULL
);


CREATE TABLE "UserClaims" (
    "Id" INTEGER NOT NULL CONSTRAINT "PK_UserClaims" PRIMARY KEY AUTOINCREMENT,
    "UserId" TEXT NOT NULL,
    "ClaimType" TEXT NULL,
    "ClaimValue" TEXT NULL,
    CONSTRAINT "FK_UserClaims_Users_UserId" FOREIGN KEY ("UserId") REFERENCES "Users" ("Id") ON DELETE CASCADE
);


CREATE TABLE "UserLogins" (
    "LoginProvider" TEXT NOT NULL,
    "ProviderKey" TEXT NOT NULL,
    "ProviderDisplayName" TEXT NULL,
    "UserId" TEXT NOT NULL,
    CONSTRAINT "PK_UserLogins" PRIMARY KEY ("LoginProvider", "ProviderKey"),
    CONSTRAINT "FK_UserLogins_Users_UserId" FOREIGN KEY ("UserId") REFERENCES "Users" ("Id") ON DELETE CASCADE
);


CREATE TABLE "UserTokens" (
    "UserId" TEXT NOT NULL,
    "LoginProvider" TEXT NOT NULL,
    "Name" TEXT NOT NULL,
    "Value" TEXT NULL,
    CONSTRAINT "PK_UserTokens" PRIMARY KEY ("UserId", "LoginProvider", "Name"),
    CONSTRAINT "FK_UserTokens_Users_UserId" FOREIGN KEY ("UserId") REFERENCES "Users" ("Id") ON DELETE CASCADE
);


CREATE TABLE "ApiKeys" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_ApiKeys" PRIMARY KEY,
    "WorkspaceId" TEXT NOT NULL,
    "Name" TEXT NOT NULL,
    "Prefix" TEXT NOT NULL,
    "Hash" TEXT NOT NULL,
    "CreatedBy" TEXT NOT NULL,
    "CreatedAt" INTEGER NOT NULL,
    "LastUsedAt" INTEGER NULL,
    "RevokedAt" INTEGER NULL,
    CONSTRAINT "FK_ApiKeys_Workspaces_WorkspaceId" FOREIGN KEY ("WorkspaceId") REFERENCES "Workspaces" ("Id") ON DELETE RESTRICT
);


CREATE TABLE "Datasets" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_Datasets" PRIMARY KEY,
    "WorkspaceId" TEXT NOT NULL,
    "Name" TEXT NOT NULL,
    "CreatedBy" TEXT NOT NULL,
    "CreatedAt" INTEGER NOT NULL,
    "DeletedAt" INTEGER NULL,
    CONSTRAINT "FK_Datasets_Workspaces_WorkspaceId" FOREIGN KEY ("WorkspaceId") REFERENCES "Workspaces" ("Id") ON DELETE RESTRICT
);


CREATE TABLE "Memberships" (
    "WorkspaceId" TEXT NOT NULL,
    "UserId" TEXT NOT NULL,
    "Role" TEXT NOT NULL,
    "CreatedAt" INTEGER NOT NULL,
    CONSTRAINT "PK_Memberships" PRIMARY KEY ("WorkspaceId", "UserId"),
    CONSTRAINT "FK_Memberships_Workspaces_WorkspaceId" FOREIGN KEY ("WorkspaceId") REFERENCES "Workspaces" ("Id") ON DELETE RESTRICT
);


CREATE TABLE "Models" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_Models" PRIMARY KEY,
    "WorkspaceId" TEXT NOT NULL,
    "Name" TEXT NOT NULL,
    "IsStarter" INTEGER NOT NULL,
    "CreatedBy" TEXT NULL,
    "CreatedAt" INTEGER NOT NULL,
    "DeletedAt" INTEGER NULL,
    CONSTRAINT "FK_Models_Workspaces_WorkspaceId" FOREIGN KEY ("WorkspaceId") REFERENCES "Workspaces" ("Id") ON DELETE RESTRICT
);


CREATE TABLE "DatasetVersions" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_DatasetVersions" PRIMARY KEY,
    "WorkspaceId" TEXT NOT NULL,
    "DatasetId" TEXT NOT NULL,
    "Number" INTEGER NOT NULL,
    "FileName" TEXT NOT NULL,
    "CreatedBy" TEXT NOT NULL,
    "CreatedAt" INTEGER NOT NULL,
    "State" TEXT NOT NULL,
    "Error" TEXT NULL,
    "StorePath" TEXT NULL,
    "Sha256" TEXT NULL,
    "SizeBytes" INTEGER NOT NULL,
    "Rows" INTEGER NOT NULL,
    "GoodRows" INTEGER NOT NULL,
    "ReportJson" TEXT NULL,
    "TokenStatisticsJson" TEXT NULL,
    CONSTRAINT "FK_DatasetVersions_Datasets_DatasetId" FOREIGN KEY ("DatasetId") REFERENCES "Datasets" ("Id") ON DELETE RESTRICT
);


CREATE TABLE "ModelVersions" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_ModelVersions" PRIMARY KEY,
    "WorkspaceId" TEXT NOT NULL,
    "ModelId" TEXT NOT NULL,
    "Number" INTEGER NOT NULL,
    "Kind" TEXT NOT NULL,
    "Path" TEXT NOT NULL,
    "Sha256" TEXT NOT NULL,
    "SizeBytes" INTEGER NOT NULL,
    "CreatedAt" INTEGER NOT NULL,
    "AdapterPath" TEXT NULL,
    "Architecture" TEXT NOT NULL,
    "Parameters" INTEGER NOT NULL,
    "InspectionJson" TEXT NULL,
    "BaseVersionId" TEXT NULL,
    "FineTuneRunId" TEXT NULL,
    CONSTRAINT "FK_ModelVersions_ModelVersions_BaseVersionId" FOREIGN KEY ("BaseVersionId") REFERENCES "ModelVersions" ("Id") ON DELETE RESTRICT,
    CONSTRAINT "FK_ModelVersions_Models_ModelId" FOREIGN KEY ("ModelId") REFERENCES "Models" ("Id") ON DELETE RESTRICT
);


CREATE TABLE "Deployments" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_Deployments" PRIMARY KEY,
    "WorkspaceId" TEXT NOT NULL,
    "Name" TEXT NOT NULL,
    "ModelVersionId" TEXT NOT NULL,
    "OptionsJson" TEXT NOT NULL,
    "CreatedBy" TEXT NOT NULL,
    "CreatedAt" INTEGER NOT NULL,
    "DesiredState" TEXT NOT NULL,
    "State" TEXT NOT NULL,
    "StateReason" TEXT NOT NULL,
    "StateSince" INTEGER NOT NULL,
    "Attempts" INTEGER NOT NULL,
    "Error" TEXT NULL,
    "ParityJson" TEXT NULL,
    "LoadSeconds" REAL NULL,
    "DeletedAt" INTEGER NULL,
    CONSTRAINT "FK_Deployments_ModelVersions_ModelVersionId" FOREIGN KEY ("ModelVersionId") REFERENCES "ModelVersions" ("Id") ON DELETE RESTRICT
);


CREATE TABLE "EvaluationRuns" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_EvaluationRuns" PRIMARY KEY,
    "WorkspaceId" TEXT NOT NULL,
    "Name" TEXT NOT NULL,
    "DatasetVersionId" TEXT NOT NULL,
    "BaseVersionId" TEXT NOT NULL,
    "TunedVersionId" TEXT NOT NULL,
    "OptionsJson" TEXT NOT NULL,
    "CreatedBy" TEXT NOT NULL,
    "CreatedAt" INTEGER NOT NULL,
    "StartedAt" INTEGER NULL,
    "FinishedAt" INTEGER NULL,
    "State" TEXT NOT NULL,
    "CancelRequested" INTEGER NOT NULL,
    "Attempts" INTEGER NOT NULL,
    "Error" TEXT NULL,
    "TotalItems" INTEGER NOT NULL,
    "CompletedItems" INTEGER NOT NULL,
    "SummaryJson" TEXT NULL,
    CONSTRAINT "FK_EvaluationRuns_DatasetVersions_DatasetVersionId" FOREIGN KEY ("DatasetVersionId") REFERENCES "DatasetVersions" ("Id") ON DELETE RESTRICT,
    CONSTRAINT "FK_EvaluationRuns_ModelVersions_BaseVersionId" FOREIGN KEY ("BaseVersionId") REFERENCES "ModelVersions" ("Id") ON DELETE RESTRICT,
    CONSTRAINT "FK_EvaluationRuns_ModelVersions_TunedVersionId" FOREIGN KEY ("TunedVersionId") REFERENCES "ModelVersions" ("Id") ON DELETE RESTRICT
);


CREATE TABLE "FineTuneRuns" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_FineTuneRuns" PRIMARY KEY,
    "WorkspaceId" TEXT NOT NULL,
    "Name" TEXT NOT NULL,
    "Number" INTEGER NOT NULL,
    "DatasetVersionId" TEXT NOT NULL,
    "BaseVersionId" TEXT NOT NULL,
    "SpecJson" TEXT NOT NULL,
    "CreatedBy" TEXT NOT NULL,
    "CreatedAt" INTEGER NOT NULL,
    "StartedAt" INTEGER NULL,
    "FinishedAt" INTEGER NULL,
    "State" TEXT NOT NULL,
    "Request" TEXT NOT NULL,
    "RunToken" TEXT NULL,
    "Attempts" INTEGER NOT NULL,
    "Error" TEXT NULL,
    "ResultVersionId" TEXT NULL,
    "Step" INTEGER NOT NULL,
    "TotalSteps" INTEGER NOT NULL,
    "Loss" REAL NULL,
    "ValidationLoss" REAL NULL,
    "TokensPerSecond" REAL NULL,
    "RemainingSeconds" REAL NULL,
    CONSTRAINT "FK_FineTuneRuns_DatasetVersions_DatasetVersionId" FOREIGN KEY ("DatasetVersionId") REFERENCES "DatasetVersions" ("Id") ON DELETE RESTRICT,
    CONSTRAINT "FK_FineTuneRuns_ModelVersions_BaseVersionId" FOREIGN KEY ("BaseVersionId") REFERENCES "ModelVersions" ("Id") ON DELETE RESTRICT,
    CONSTRAINT "FK_FineTuneRuns_ModelVersions_ResultVersionId" FOREIGN KEY ("ResultVersionId") REFERENCES "ModelVersions" ("Id") ON DELETE RESTRICT
);


CREATE TABLE "Conversations" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_Conversations" PRIMARY KEY,
    "WorkspaceId" TEXT NOT NULL,
    "UserId" TEXT NOT NULL,
    "DeploymentId" TEXT NOT NULL,
    "Title" TEXT NOT NULL,
    "SystemPrompt" TEXT NULL,
    "CreatedAt" INTEGER NOT NULL,
    "UpdatedAt" INTEGER NOT NULL,
    CONSTRAINT "FK_Conversations_Deployments_DeploymentId" FOREIGN KEY ("DeploymentId") REFERENCES "Deployments" ("Id") ON DELETE RESTRICT
);


CREATE TABLE "DeploymentSteps" (
    "Id" INTEGER NOT NULL CONSTRAINT "PK_DeploymentSteps" PRIMARY KEY AUTOINCREMENT,
    "WorkspaceId" TEXT NOT NULL,
    "DeploymentId" TEXT NOT NULL,
    "Step" TEXT NOT NULL,
    "State" TEXT NOT NULL,
    "Reason" TEXT NOT NULL,
    "At" INTEGER NOT NULL,
    CONSTRAINT "FK_DeploymentSteps_Deployments_DeploymentId" FOREIGN KEY ("DeploymentId") REFERENCES "Deployments" ("Id") ON DELETE CASCADE
);


CREATE TABLE "UsageRecords" (
    "RequestId" TEXT NOT NULL CONSTRAINT "PK_UsageRecords" PRIMARY KEY,
    "WorkspaceId" TEXT NOT NULL,
    "DeploymentId" TEXT NOT NULL,
    "ApiKeyId" TEXT NULL,
    "UserId" TEXT NULL,
    "StartedAt" INTEGER NOT NULL,
    "FinishedAt" INTEGER NULL,
    "State" TEXT NOT NULL,
    "PromptTokens" INTEGER NOT NULL,
    "CachedTokens" INTEGER NOT NULL,
    "CompletionTokens" INTEGER NOT NULL,
    CONSTRAINT "FK_UsageRecords_Deployments_DeploymentId" FOREIGN KEY ("DeploymentId") REFERENCES "Deployments" ("Id") ON DELETE RESTRICT
);


CREATE TABLE "EvaluationItems" (
    "RunId" TEXT NOT NULL,
    "Index" INTEGER NOT NULL,
    "WorkspaceId" TEXT NOT NULL,
    "PromptJson" TEXT NOT NULL,
    "Reference" TEXT NOT NULL,
    "BaseAnswer" TEXT NOT NULL,
    "TunedAnswer" TEXT NOT NULL,
    "ScoresJson" TEXT NOT NULL,
    "BaseLogLikelihood" REAL NULL,
    "TunedLogLikelihood" REAL NULL,
    "ReferenceTokens" INTEGER NOT NULL,
    "SetAside" TEXT NULL,
    CONSTRAINT "PK_EvaluationItems" PRIMARY KEY ("RunId", "Index"),
    CONSTRAINT "FK_EvaluationItems_EvaluationRuns_RunId" FOREIGN KEY ("RunId") REFERENCES "EvaluationRuns" ("Id") ON DELETE CASCADE
);


CREATE TABLE "RunEvents" (
    "RunId" TEXT NOT NULL,
    "Sequence" INTEGER NOT NULL,
    "WorkspaceId" TEXT NOT NULL,
    "Type" TEXT NOT NULL,
    "Step" INTEGER NOT NULL,
    "Json" TEXT NOT NULL,
    "At" INTEGER NOT NULL,
    CONSTRAINT "PK_RunEvents" PRIMARY KEY ("RunId", "Sequence"),
    CONSTRAINT "FK_RunEvents_FineTuneRuns_RunId" FOREIGN KEY ("RunId") REFERENCES "FineTuneRuns" ("Id") ON DELETE CASCADE
);


CREATE TABLE "Generations" (
    "Id" TEXT NOT NULL CONSTRAINT "PK_Generations" PRIMARY KEY,
    "WorkspaceId" TEXT NOT NULL,
    "ConversationId" TEXT NOT NULL,
    "DeploymentId" TEXT NOT NULL,
    "UserId" TEXT NOT NULL,
    "MessagesJson" TEXT NOT NULL,
    "ParametersJson" TEXT NOT NULL,
    "CreatedAt" INTEGER NOT NULL,
    "FinishedAt" INTEGER NULL,
    "State" TEXT NOT NULL,
    "Text" TEXT NOT NULL,
    "FinishReason" TEXT NULL,
    "Error" TEXT NULL,
    "PromptTokens" INTEGER NOT NULL,
    "CachedTokens" INTEGER NOT NULL,
    "CompletionTokens" INTEGER NOT NULL,
    "FirstTokenMs" REAL NULL,
    "PerTokenMs" REAL NULL,
    CONSTRAINT "FK_Generations_Conversations_ConversationId" FOREIGN KEY ("ConversationId") REFERENCES "Conversations" ("Id") ON DELETE CASCADE,
    CONSTRAINT "FK_Generations_Deployments_DeploymentId" FOREIGN KEY ("DeploymentId") REFERENCES "Deployments" ("Id") ON DELETE RESTRICT
);


CREATE UNIQUE INDEX "IX_ApiKeys_Hash" ON "ApiKeys" ("Hash");


CREATE INDEX "IX_ApiKeys_WorkspaceId" ON "ApiKeys" ("WorkspaceId");


CREATE INDEX "IX_AuditEntries_WorkspaceId_Id" ON "AuditEntries" ("WorkspaceId", "Id");


CREATE INDEX "IX_Conversations_DeploymentId" ON "Conversations" ("DeploymentId");


CREATE INDEX "IX_Conversations_WorkspaceId_UserId_UpdatedAt" ON "Conversations" ("WorkspaceId", "UserId", "UpdatedAt");


CREATE INDEX "IX_Datasets_WorkspaceId" ON "Datasets" ("WorkspaceId");


CREATE UNIQUE INDEX "IX_DatasetVersions_DatasetId_Number" ON "DatasetVersions" ("DatasetId", "Number");


CREATE INDEX "IX_DatasetVersions_WorkspaceId" ON "DatasetVersions" ("WorkspaceId");


CREATE INDEX "IX_Deployments_ModelVersionId" ON "Deployments" ("ModelVersionId");


CREATE UNIQUE INDEX "IX_Deployments_WorkspaceId_Name" ON "Deployments" ("WorkspaceId", "Name") WHERE "DeletedAt" IS NULL;


CREATE INDEX "IX_DeploymentSteps_DeploymentId_Id" ON "DeploymentSteps" ("DeploymentId", "Id");


CREATE INDEX "IX_EvaluationRuns_BaseVersionId" ON "EvaluationRuns" ("BaseVersionId");


CREATE INDEX "IX_EvaluationRuns_DatasetVersionId" ON "EvaluationRuns" ("DatasetVersionId");


CREATE INDEX "IX_EvaluationRuns_TunedVersionId" ON "EvaluationRuns" ("TunedVersionId");


CREATE INDEX "IX_EvaluationRuns_WorkspaceId" ON "EvaluationRuns" ("WorkspaceId");


CREATE INDEX "IX_FineTuneRuns_BaseVersionId" ON "FineTuneRuns" ("BaseVersionId");


CREATE INDEX "IX_FineTuneRuns_DatasetVersionId" ON "FineTuneRuns" ("DatasetVersionId");


CREATE INDEX "IX_FineTuneRuns_ResultVersionId" ON "FineTuneRuns" ("ResultVersionId");


CREATE INDEX "IX_FineTuneRuns_State" ON "FineTuneRuns" ("State");


CREATE UNIQUE INDEX "IX_FineTuneRuns_WorkspaceId_Number" ON "FineTuneRuns" ("WorkspaceId", "Number");


CREATE INDEX "IX_Generations_ConversationId_CreatedAt" ON "Generations" ("ConversationId", "CreatedAt");


CREATE INDEX "IX_Generations_DeploymentId" ON "Generations" ("DeploymentId");


CREATE INDEX "IX_Jobs_Kind_SubjectId" ON "Jobs" ("Kind", "SubjectId");


CREATE INDEX "IX_Jobs_State" ON "Jobs" ("State");


CREATE INDEX "IX_Jobs_WorkspaceId" ON "Jobs" ("WorkspaceId");


CREATE INDEX "IX_Memberships_UserId" ON "Memberships" ("UserId");


CREATE INDEX "IX_Models_WorkspaceId" ON "Models" ("WorkspaceId");


CREATE INDEX "IX_ModelVersions_BaseVersionId" ON "ModelVersions" ("BaseVersionId");


CREATE INDEX "IX_ModelVersions_FineTuneRunId" ON "ModelVersions" ("FineTuneRunId");


CREATE UNIQUE INDEX "IX_ModelVersions_ModelId_Number" ON "ModelVersions" ("ModelId", "Number");


CREATE INDEX "IX_ModelVersions_WorkspaceId" ON "ModelVersions" ("WorkspaceId");


CREATE INDEX "IX_UsageRecords_DeploymentId_StartedAt" ON "UsageRecords" ("DeploymentId", "StartedAt");


CREATE INDEX "IX_UsageRecords_WorkspaceId_StartedAt" ON "UsageRecords" ("WorkspaceId", "StartedAt");


CREATE INDEX "IX_UserClaims_UserId" ON "UserClaims" ("UserId");


CREATE INDEX "IX_UserLogins_UserId" ON "UserLogins" ("UserId");


CREATE INDEX "EmailIndex" ON "Users" ("NormalizedEmail");


CREATE UNIQUE INDEX "UserNameIndex" ON "Users" ("NormalizedUserName");
