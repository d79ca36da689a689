using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("TokenMill.Training.Tests")]
