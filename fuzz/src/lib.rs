//! What the fuzz targets share: inputs that choose API, direction and version, and the bound on
//! allocation.

use kafka_wire::{ApiKey, MAX_AMPLIFICATION};
use peak_alloc::PeakAlloc;

/// A body to decode, with what it claims to be.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    pub api: ApiKey,
    pub is_request: bool,
    pub version: i16,
    pub body: &'a [u8],
}

impl<'a> Case<'a> {
    /// The first byte chooses API and direction, the second the version; the rest is the body.
    pub fn of(data: &'a [u8]) -> Option<Self> {
        let [kind, version, body @ ..] = data else {
            return None;
        };
        let kind = usize::from(*kind) % (2 * ApiKey::ALL.len());
        let api = ApiKey::ALL[kind / 2];
        let versions = api.versions();
        let version = versions.min + i16::from(*version) % (versions.max - versions.min + 1);
        Some(Self {
            api,
            is_request: kind.is_multiple_of(2),
            version,
            body,
        })
    }
}

/// Calls a macro with the type of the message that a case asks for, and the type's name as that of
/// a function.
#[macro_export]
macro_rules! with_message {
    ($case:expr, $then:ident) => {
        match ($case.api, $case.is_request) {
            (ApiKey::Produce, true) => $then!(ProduceRequest, produce_request),
            (ApiKey::Produce, false) => $then!(ProduceResponse, produce_response),
            (ApiKey::Metadata, true) => $then!(MetadataRequest, metadata_request),
            (ApiKey::Metadata, false) => $then!(MetadataResponse, metadata_response),
            (ApiKey::ApiVersions, true) => $then!(ApiVersionsRequest, api_versions_request),
            (ApiKey::ApiVersions, false) => $then!(ApiVersionsResponse, api_versions_response),
            (ApiKey::InitProducerId, true) => {
                $then!(InitProducerIdRequest, init_producer_id_request)
            }
            (ApiKey::InitProducerId, false) => {
                $then!(InitProducerIdResponse, init_producer_id_response)
            }
        }
    };
}

/// Runs a decoder of messages, which may allocate only what its input justifies.
pub fn bounded<T>(input: &[u8], decode: impl FnOnce() -> T) -> T {
    let (result, peak) = peak_of(decode);
    assert!(
        peak <= MAX_AMPLIFICATION * input.len(),
        "{peak} bytes for {}",
        input.len()
    );
    result
}

/// The result of `run`, and how many bytes it held at most.
pub fn peak_of<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = run();
    (result, ALLOCATOR.peak_usage() - before)
}

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;
