using TokenMill.Shared.Domain;

namespace TokenMill.Web.Features.Evaluation;

/// <summary>This row cannot be asked or scored; the others can.</summary>
public sealed class RowNotAskableException(Error error) : Exception(error.ToString())
{
    public Error Error { get; } = error;
}
