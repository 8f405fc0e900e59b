//! The first three numbers of the addresses in `compose.fixed-ip.yml`. Docker takes the networks that
//! ask for none from 172.17.0.0/16 to 172.31.0.0/16 and 192.168.0.0/16, each time the next one: a fixed
//! network among those fails now and then with "Pool overlaps with other one on this address space".

/// What the file says.
pub(super) const DOCUMENTED: &str = "172.16.57";
/// Others, so that a cluster of the developer is left alone.
pub(super) const CLUSTER: &str = "172.16.58";
pub(super) const BOOK: &str = "172.16.59";

#[cfg(test)]
mod tests {
    use super::*;

    fn is_docker_s_own(subnet: &str) -> bool {
        let numbers: Vec<u8> = subnet.split('.').filter_map(|n| n.parse().ok()).collect();
        assert_eq!(numbers.len(), 3, "{subnet}");
        (numbers[0] == 172 && (17..=31).contains(&numbers[1])) || numbers[..2] == [192, 168]
    }

    #[test]
    fn none_is_among_those_that_docker_gives_away() {
        for subnet in [DOCUMENTED, CLUSTER, BOOK] {
            assert!(!is_docker_s_own(subnet), "{subnet}");
        }
        assert!(is_docker_s_own("172.30.57") && is_docker_s_own("192.168.7"));
    }

    #[test]
    fn the_file_and_its_page_have_the_documented_one() {
        let file = include_str!("../../../../docker/compose.fixed-ip.yml");
        let defaults = file.split("${SUBNET:-").skip(1);
        let defaults: Vec<_> = defaults.filter_map(|rest| rest.split('}').next()).collect();
        assert!(defaults.len() > 6 && defaults.iter().all(|found| *found == DOCUMENTED));
        let page = include_str!("../../../../docs/docker.md");
        assert!(page.contains(&format!("| `SUBNET` | {DOCUMENTED} |")));
    }
}
