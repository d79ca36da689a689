using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence.Configurations;

internal sealed class DatasetConfiguration : IEntityTypeConfiguration<Dataset>, IEntityTypeConfiguration<DatasetVersion>
{
    public void Configure(EntityTypeBuilder<Dataset> dataset)
    {
        dataset.ToTable("Datasets");
        dataset.HasIndex(d => d.WorkspaceId);
        dataset.HasOne<Workspace>().WithMany().HasForeignKey(d => d.WorkspaceId).OnDelete(DeleteBehavior.Restrict);
    }

    public void Configure(EntityTypeBuilder<DatasetVersion> version)
    {
        version.ToTable("DatasetVersions");
        version.HasIndex(v => new { v.DatasetId, v.Number }).IsUnique();
        version.HasIndex(v => v.WorkspaceId);
        version.HasOne<Dataset>().WithMany().HasForeignKey(v => v.DatasetId).OnDelete(DeleteBehavior.Restrict);
    }
}
