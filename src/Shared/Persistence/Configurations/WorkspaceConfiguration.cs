using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence.Configurations;

internal sealed class WorkspaceConfiguration : IEntityTypeConfiguration<Workspace>, IEntityTypeConfiguration<Membership>, IEntityTypeConfiguration<AuditEntry>
{
    public void Configure(EntityTypeBuilder<Workspace> workspace) => workspace.ToTable("Workspaces");

    public void Configure(EntityTypeBuilder<Membership> membership)
    {
        membership.ToTable("Memberships");
        membership.HasKey(m => new { m.WorkspaceId, m.UserId });
        membership.HasIndex(m => m.UserId);
        membership.HasOne<Workspace>().WithMany().HasForeignKey(m => m.WorkspaceId).OnDelete(DeleteBehavior.Restrict);
    }

    public void Configure(EntityTypeBuilder<AuditEntry> entry)
    {
        entry.ToTable("AuditEntries");
        entry.HasIndex(e => new { e.WorkspaceId, e.Id });
    }
}
