using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence.Configurations;

internal sealed class FineTuneRunConfiguration : IEntityTypeConfiguration<FineTuneRun>, IEntityTypeConfiguration<RunEvent>
{
    public void Configure(EntityTypeBuilder<FineTuneRun> run)
    {
        run.ToTable("FineTuneRuns");
        run.HasIndex(r => new { r.WorkspaceId, r.Number }).IsUnique();
        run.HasIndex(r => r.State);
        run.HasOne<DatasetVersion>().WithMany().HasForeignKey(r => r.DatasetVersionId).OnDelete(DeleteBehavior.Restrict);
        run.HasOne<ModelVersion>().WithMany().HasForeignKey(r => r.BaseVersionId).OnDelete(DeleteBehavior.Restrict);
        run.HasOne<ModelVersion>().WithMany().HasForeignKey(r => r.ResultVersionId).OnDelete(DeleteBehavior.Restrict);
    }

    public void Configure(EntityTypeBuilder<RunEvent> runEvent)
    {
        runEvent.ToTable("RunEvents");
        runEvent.HasKey(e => new { e.RunId, e.Sequence });
        runEvent.HasOne<FineTuneRun>().WithMany().HasForeignKey(e => e.RunId).OnDelete(DeleteBehavior.Cascade);
    }
}
