using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence.Configurations;

internal sealed class UsageConfiguration : IEntityTypeConfiguration<ApiKey>, IEntityTypeConfiguration<UsageRecord>
{
    public void Configure(EntityTypeBuilder<ApiKey> key)
    {
        key.ToTable("ApiKeys");
        key.HasIndex(k => k.Hash).IsUnique();
        key.HasIndex(k => k.WorkspaceId);
        key.HasOne<Workspace>().WithMany().HasForeignKey(k => k.WorkspaceId).OnDelete(DeleteBehavior.Restrict);
    }

    public void Configure(EntityTypeBuilder<UsageRecord> usage)
    {
        usage.ToTable("UsageRecords");
        usage.HasKey(u => u.RequestId);
        usage.HasIndex(u => new { u.WorkspaceId, u.StartedAt });
        usage.HasIndex(u => new { u.DeploymentId, u.StartedAt });
        usage.HasOne<Deployment>().WithMany().HasForeignKey(u => u.DeploymentId).OnDelete(DeleteBehavior.Restrict);
    }
}
