using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using TokenMill.Shared.Domain;

namespace TokenMill.Shared.Persistence.Configurations;

internal sealed class JobConfiguration : IEntityTypeConfiguration<Job>
{
    public void Configure(EntityTypeBuilder<Job> job)
    {
        job.ToTable("Jobs");
        job.HasIndex(j => j.State);
        job.HasIndex(j => j.WorkspaceId);
        job.HasIndex(j => new { j.Kind, j.SubjectId });
    }
}
