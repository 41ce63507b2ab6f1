//! Nothing that the mock can pretend to be is left out of `cargo xtask test`.

use kafka_mock::Profile;
use xtask::MOCK_PROFILES;

#[test]
fn every_profile_of_the_mock_is_tested() {
    let profiles: Vec<_> = Profile::ALL.iter().map(Profile::to_string).collect();
    assert_eq!(profiles, MOCK_PROFILES);
}
