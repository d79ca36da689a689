using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence.Configurations;

internal sealed class ModelConfiguration : IEntityTypeConfiguration<Model>, IEntityTypeConfiguration<ModelVersion>
{
    public void Configure(EntityTypeBuilder<Model> model)
    {
        model.ToTable("Models");
        model.HasIndex(m => m.WorkspaceId);
        model.HasOne<Workspace>().WithMany().HasForeignKey(m => m.WorkspaceId).OnDelete(DeleteBehavior.Restrict);
    }

    public void Configure(EntityTypeBuilder<ModelVersion> version)
    {
        version.ToTable("ModelVersions");
        version.HasIndex(v => new { v.ModelId, v.Number }).IsUnique();
        version.HasIndex(v => v.WorkspaceId);
        version.HasOne<Model>().WithMany().HasForeignKey(v => v.ModelId).OnDelete(DeleteBehavior.Restrict);
        version.HasOne<ModelVersion>().WithMany().HasForeignKey(v => v.BaseVersionId).OnDelete(DeleteBehavior.Restrict);
        version.HasIndex(v => v.FineTuneRunId);
    }
}
