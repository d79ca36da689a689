using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence.Configurations;

internal sealed class EvaluationConfiguration : IEntityTypeConfiguration<EvaluationRun>, IEntityTypeConfiguration<EvaluationItem>
{
    public void Configure(EntityTypeBuilder<EvaluationRun> run)
    {
        run.ToTable("EvaluationRuns");
        run.HasIndex(r => r.WorkspaceId);
        run.HasOne<DatasetVersion>().WithMany().HasForeignKey(r => r.DatasetVersionId).OnDelete(DeleteBehavior.Restrict);
        run.HasOne<ModelVersion>().WithMany().HasForeignKey(r => r.BaseVersionId).OnDelete(DeleteBehavior.Restrict);
        run.HasOne<ModelVersion>().WithMany().HasForeignKey(r => r.TunedVersionId).OnDelete(DeleteBehavior.Restrict);
    }

    public void Configure(EntityTypeBuilder<EvaluationItem> item)
    {
        item.ToTable("EvaluationItems");
        item.HasKey(i => new { i.RunId, i.Index });
        item.HasOne<EvaluationRun>().WithMany().HasForeignKey(i => i.RunId).OnDelete(DeleteBehavior.Cascade);
    }
}
